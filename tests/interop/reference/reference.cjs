// The JavaScript reference library, driven by lines: a command and its arguments, separated by tabs; the answer is
// a line that begins with "ok" or "error". Objects go through files in the current directory.
//
// README.md in this directory lists the commands; Reference.java answers the same ones.

'use strict';

const fs = require('fs');
const readline = require('readline');
const core = require('@relaycorp/relaynet-core');

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
const nodes = new Map();

const read = (file) => {
  const octets = fs.readFileSync(file);
  return octets.buffer.slice(octets.byteOffset, octets.byteOffset + octets.length);
};
const write = (file, octets) => fs.writeFileSync(file, Buffer.from(octets));
const certificate = (file) => core.Certificate.deserialize(read(file));
const hex = (octets) => Buffer.from(octets).toString('hex');
const files = (list) => (list === '-' ? [] : list.split(','));

function node(name) {
  if (!nodes.has(name)) throw new Error(`no node ${name}`);
  return nodes.get(name);
}

function peer(own, id) {
  if (!own.peers.has(id)) own.peers.set(id, {});
  return own.peers.get(id);
}

const issue = {
  gateway: core.issueGatewayCertificate,
  endpoint: core.issueEndpointCertificate,
  delivery: core.issueDeliveryAuthorization,
};

function certify(own, role, subject, issuer, days = 60) {
  return issue[role]({
    issuerPrivateKey: own.privateKey,
    issuerCertificate: issuer,
    subjectPublicKey: subject,
    validityStartDate: new Date(Date.now() - 3 * HOUR),
    validityEndDate: new Date(Date.now() + days * DAY),
  });
}

async function newSessionKey(own) {
  const pair = await core.SessionKeyPair.generate();
  own.keys.set(hex(pair.sessionKey.keyId), pair.privateKey);
  return pair.sessionKey;
}

async function seal(own, id, plaintext) {
  const sealed = await core.SessionEnvelopedData.encrypt(plaintext, peer(own, id).sessionKey);
  own.keys.set(hex(sealed.dhKeyId), sealed.dhPrivateKey);
  return Buffer.from(sealed.envelopedData.serialize());
}

async function send(Kind, own, id, address, signer, chain, plaintext, age, out) {
  const recipient = address === '-' ? { id } : { id, internetAddress: address };
  const message = new Kind(recipient, signer, await seal(own, id, plaintext), {
    creationDate: new Date(Date.now() - age * 1000),
    ttl: 10 * 24 * 3600,
    senderCaCertificateChain: chain,
  });
  write(out, await message.serialize(own.privateKey));
  return [message.id];
}

async function open(Kind, own, file, trust) {
  const message = await Kind.deserialize(read(file));
  const trusted = trust === 'any' ? undefined : files(trust).map(certificate);
  await message.validate(trusted);
  if (message.recipient.id !== own.id) throw new Error(`for ${message.recipient.id}`);
  const sealed = core.SessionEnvelopedData.deserialize(
    new Uint8Array(message.payloadSerialized).buffer,
  );
  const keyId = hex(sealed.getRecipientKeyId());
  if (!own.keys.has(keyId)) throw new Error(`no session key ${keyId}`);
  const { payload, senderSessionKey } = await message.unwrapPayload(own.keys.get(keyId));
  const sender = await message.senderCertificate.calculateSubjectId();
  Object.assign(peer(own, sender), {
    sessionKey: senderSessionKey,
    certificate: message.senderCertificate,
  });
  const facts = [sender, message.id, keyId, hex(senderSessionKey.keyId)];
  return { message, payload, sender, facts };
}

const publicKey = (file) => core.derDeserializeRSAPublicKey(Buffer.from(read(file)));

const commands = {
  async node(name, type) {
    const pair = await core.generateRSAKeyPair();
    const own = { ...pair, type, keys: new Map(), peers: new Map() };
    own.id = await core.getIdFromIdentityKey(pair.publicKey);
    own.certificate = await certify(own, type, pair.publicKey, undefined, 120);
    nodes.set(name, own);
    write(`${name}.pub`, await core.derSerializePublicKey(pair.publicKey));
    write(`${name}.der`, own.certificate.serialize());
    return [own.id];
  },
  async 'write-ncp'(name, address, out) {
    const own = node(name);
    const params = new core.NodeConnectionParams(address, own.publicKey, await newSessionKey(own));
    write(out, await params.serialize());
    return [];
  },
  async 'read-ncp'(name, file) {
    const params = await core.NodeConnectionParams.deserialize(read(file));
    const id = await core.getIdFromIdentityKey(params.identityKey);
    peer(node(name), id).sessionKey = params.sessionKey;
    return [id, params.internetAddress, hex(params.sessionKey.keyId)];
  },
  async 'write-pecp'(name, address, subject, out) {
    const own = node(name);
    const issuer = own.registration || own.certificate;
    const leaf = await certify(own, 'delivery', await publicKey(subject), issuer);
    const chain = own.gatewayCertificate ? [issuer, own.gatewayCertificate] : [issuer];
    const path = new core.CertificationPath(leaf, chain);
    const key = await newSessionKey(own);
    const params = new core.PrivateEndpointConnParams(own.publicKey, address, path, key);
    write(out, await params.serialize());
    return [];
  },
  async 'read-pecp'(name, file) {
    const params = await core.PrivateEndpointConnParams.deserialize(read(file));
    const id = await core.getIdFromIdentityKey(params.identityKey);
    Object.assign(peer(node(name), id), {
      sessionKey: params.sessionKey,
      path: params.deliveryAuth,
    });
    return [id, params.internetGatewayAddress, hex(params.sessionKey.keyId)];
  },
  async 'write-pnra'(name, subject, out) {
    const own = node(name);
    const data = await core.getPublicKeyDigest(await publicKey(subject));
    const expiry = new Date(Math.floor(Date.now() / 1000) * 1000 + DAY);
    const pnra = new core.PrivateNodeRegistrationAuthorization(expiry, data);
    write(out, await pnra.serialize(own.privateKey));
    return [];
  },
  async 'read-pnra'(gateway, file) {
    const key = await publicKey(gateway);
    const pnra = await core.PrivateNodeRegistrationAuthorization.deserialize(read(file), key);
    return [hex(pnra.gatewayData)];
  },
  async 'write-pnrr'(name, pnra, out) {
    const own = node(name);
    const pnrr = new core.PrivateNodeRegistrationRequest(own.publicKey, read(pnra));
    write(out, await pnrr.serialize(own.privateKey));
    return [];
  },
  async 'read-pnrr'(file) {
    const pnrr = await core.PrivateNodeRegistrationRequest.deserialize(read(file));
    return [await core.getIdFromIdentityKey(pnrr.privateNodePublicKey)];
  },
  async 'write-pnr'(name, address, role, subject, out) {
    const own = node(name);
    const issuer = own.registration || own.certificate;
    const leaf = await certify(own, role, await publicKey(subject), issuer);
    const key = role === 'gateway' ? await newSessionKey(own) : null;
    const pnr = new core.PrivateNodeRegistration(leaf, issuer, address, key);
    write(out, await pnr.serialize());
    return [];
  },
  async 'read-pnr'(name, file) {
    const own = node(name);
    const pnr = await core.PrivateNodeRegistration.deserialize(read(file));
    if ((await pnr.privateNodeCertificate.calculateSubjectId()) !== own.id) throw new Error('whose?');
    await pnr.privateNodeCertificate.getCertificationPath([], [pnr.gatewayCertificate]);
    own.registration = pnr.privateNodeCertificate;
    own.gatewayCertificate = pnr.gatewayCertificate;
    write(`${name}.registered.der`, own.registration.serialize());
    const id = await pnr.gatewayCertificate.calculateSubjectId();
    if (pnr.sessionKey) peer(own, id).sessionKey = pnr.sessionKey;
    const key = pnr.sessionKey ? hex(pnr.sessionKey.keyId) : '-';
    return [id, pnr.internetGatewayInternetAddress, key];
  },
  async parcel(name, id, address, content, age, out) {
    const own = node(name);
    const { path } = peer(own, id);
    const message = new core.ServiceMessage('application/octet-stream', Buffer.from(read(content)));
    const [signer, chain] = path
      ? [path.leafCertificate, path.certificateAuthorities]
      : [own.certificate, []];
    return send(core.Parcel, own, id, address, signer, chain, message.serialize(), age, out);
  },
  async cargo(name, id, address, out, ...items) {
    const own = node(name);
    const set = new core.CargoMessageSet(items.map(read)).serialize();
    const { cda, certificate: asked } = peer(own, id);
    const [signer, chain] = cda ? [cda, [asked]] : [own.registration, []];
    return send(core.Cargo, own, id, address, signer, chain, set, 60, out);
  },
  async cca(name, id, address, gateway, out) {
    const own = node(name);
    const cda = await certify(own, 'delivery', await publicKey(gateway), own.certificate);
    const request = new core.CargoCollectionRequest(cda).serialize();
    const Kind = core.CargoCollectionAuthorization;
    return send(Kind, own, id, address, own.registration, [], request, 60, out);
  },
  async 'open-parcel'(name, file, trust, out) {
    const { payload, facts } = await open(core.Parcel, node(name), file, trust);
    write(out, payload.content);
    return [...facts, payload.type];
  },
  async 'open-cargo'(name, file, trust, out) {
    const { payload, facts } = await open(core.Cargo, node(name), file, trust);
    for (const item of payload.messages) await core.CargoMessageSet.deserializeItem(item);
    write(out, Buffer.concat(payload.messages.map((item) => Buffer.from(item))));
    return [...facts, String(payload.messages.length)];
  },
  async 'open-cca'(name, file, trust) {
    const own = node(name);
    const Kind = core.CargoCollectionAuthorization;
    const { payload, sender, facts } = await open(Kind, own, file, trust);
    const cda = payload.cargoDeliveryAuthorization;
    if ((await cda.calculateSubjectId()) !== own.id) throw new Error('CDA for another');
    peer(own, sender).cda = cda;
    return facts;
  },
  async 'write-pca'(sender, recipient, id, out) {
    write(out, new core.ParcelCollectionAck(sender, recipient, id).serialize());
    return [];
  },
  async 'read-pca'(file) {
    const pca = core.ParcelCollectionAck.deserialize(read(file));
    return [pca.senderEndpointId, pca.recipientEndpointId, pca.parcelId];
  },
  async 'write-rotation'(name, role, subject, out) {
    const own = node(name);
    const leaf = await certify(own, role, await publicKey(subject), own.certificate, 90);
    const path = new core.CertificationPath(leaf, [own.certificate]);
    write(out, new core.CertificateRotation(path).serialize());
    return [];
  },
  async 'read-rotation'(file) {
    const rotation = core.CertificateRotation.deserialize(read(file));
    const { leafCertificate, certificateAuthorities } = rotation.certificationPath;
    const ids = await Promise.all(
      [leafCertificate, ...certificateAuthorities].map((one) => one.calculateSubjectId()),
    );
    return ids;
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, ...args] = line.split('\t');
    let answer;
    try {
      if (!commands[command]) throw new Error(`no command ${command}`);
      answer = ['ok', ...(await commands[command](...args))];
    } catch (error) {
      answer = ['error', String((error && error.stack) || error).replace(/[\t\r\n]+/g, ' ')];
    }
    process.stdout.write(`${answer.join('\t')}\n`);
  }
})();
