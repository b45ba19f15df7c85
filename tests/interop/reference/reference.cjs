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

// A key that only this peer may use, if one is named.
async function newSessionKey(own, peerId) {
  const { privateKey, sessionKey } = await core.SessionKeyPair.generate();
  await own.keys.saveSessionKey(privateKey, sessionKey.keyId, own.id, peerId);
  return sessionKey;
}

const subjectId = async (file) => core.getIdFromIdentityKey(await publicKey(file));

async function seal(own, id, plaintext) {
  const newest = await own.sessions.retrieveLastSessionKey(id);
  const sealed = await core.SessionEnvelopedData.encrypt(plaintext, newest);
  await own.keys.saveSessionKey(sealed.dhPrivateKey, Buffer.from(sealed.dhKeyId), own.id, id);
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
  const sender = await message.senderCertificate.calculateSubjectId();
  const key = await own.keys.retrieveSessionKey(sealed.getRecipientKeyId(), own.id, sender);
  const { payload, senderSessionKey } = await message.unwrapPayload(key);
  // The store keeps the key of the latest date.
  await own.sessions.saveSessionKey(senderSessionKey, sender, message.creationDate);
  peer(own, sender).certificate = message.senderCertificate;
  const facts = [sender, message.id, keyId, hex(senderSessionKey.keyId)];
  return { message, payload, sender, facts };
}

const publicKey = (file) => core.derDeserializeRSAPublicKey(Buffer.from(read(file)));

const commands = {
  async node(name, type) {
    const pair = await core.generateRSAKeyPair();
    const own = { ...pair, type, peers: new Map() };
    own.keys = new core.MockPrivateKeyStore();
    own.sessions = new core.MockPublicKeyStore();
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
    await node(name).sessions.saveSessionKey(params.sessionKey, id, new Date(0));
    return [id, params.internetAddress, hex(params.sessionKey.keyId)];
  },
  async 'write-pecp'(name, address, subject, out, days = 60) {
    const own = node(name);
    const issuer = own.registration || own.certificate;
    const leaf = await certify(own, 'delivery', await publicKey(subject), issuer, Number(days));
    const chain = own.gatewayCertificate ? [issuer, own.gatewayCertificate] : [issuer];
    const path = new core.CertificationPath(leaf, chain);
    const key = await newSessionKey(own, await subjectId(subject));
    const params = new core.PrivateEndpointConnParams(own.publicKey, address, path, key);
    write(out, await params.serialize());
    return [];
  },
  async 'read-pecp'(name, file) {
    const params = await core.PrivateEndpointConnParams.deserialize(read(file));
    const id = await core.getIdFromIdentityKey(params.identityKey);
    const own = node(name);
    peer(own, id).path = params.deliveryAuth;
    // The library takes the time at which it imports, which the messages of a test may lie before.
    const { startDate } = params.deliveryAuth.leafCertificate;
    await own.sessions.saveSessionKey(params.sessionKey, id, startDate);
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
    const id = await subjectId(subject);
    const key = role === 'gateway' ? await newSessionKey(own, id) : null;
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
    if (pnr.sessionKey) {
      const { startDate } = pnr.privateNodeCertificate;
      await own.sessions.saveSessionKey(pnr.sessionKey, id, startDate);
    }
    const key = pnr.sessionKey ? hex(pnr.sessionKey.keyId) : '-';
    return [id, pnr.internetGatewayInternetAddress, key];
  },
  async parcel(name, id, address, content, age, out, type = 'application/octet-stream') {
    const own = node(name);
    const { path } = peer(own, id);
    const message = new core.ServiceMessage(type, Buffer.from(read(content)));
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
  async 'open-rotations'(name, file, trust) {
    const own = node(name);
    const { payload } = await open(core.Cargo, own, file, trust);
    let applied = 0;
    for (const item of payload.messages) {
      try {
        const { certificationPath } = core.CertificateRotation.deserialize(item);
        const leaf = certificationPath.leafCertificate;
        if ((await leaf.calculateSubjectId()) !== own.id) throw new Error('whose?');
        if (leaf.expiryDate <= own.registration.expiryDate) continue;
        own.registration = leaf;
        applied += 1;
      } catch (error) {
        // In the other form: gateways go on with the next item.
      }
    }
    write(`${name}.registered.der`, own.registration.serialize());
    return [String(payload.messages.length), String(applied)];
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
