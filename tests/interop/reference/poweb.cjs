// poweb.cjs PORT KEY OUT PARCEL...: the PoWeb client that desktop gateways run, against a gateway on loopback.
//
// Registers the node with the private key KEY (PKCS#8, PEM), writes its registration to OUT.pnr, delivers the
// parcels, and collects into OUT.1, OUT.2 and so on, until the gateway says that this was all. With a
// certificate in NODE_EXTRA_CA_CERTS, over TLS. Writes what happened, a line for each.
'use strict';

const crypto = require('crypto');
const fs = require('fs');

const core = require('@relaycorp/relaynet-core');
const { PoWebClient } = require('@relaycorp/relaynet-poweb');

const PSS = { name: 'RSA-PSS', hash: { name: 'SHA-256' } };

function say(...words) {
  process.stdout.write(`${words.join(' ')}\n`);
}

function octets(file) {
  return Uint8Array.from(fs.readFileSync(file)).buffer;
}

async function main(port, keyFile, out, ...parcels) {
  const client = process.env.NODE_EXTRA_CA_CERTS
    ? PoWebClient.initRemote('127.0.0.1', Number(port))
    : PoWebClient.initLocal(Number(port));
  const pem = crypto.createPrivateKey(fs.readFileSync(keyFile));
  const key = await core.derDeserializeRSAPrivateKey(pem.export({ type: 'pkcs8', format: 'der' }), PSS);
  const spki = crypto.createPublicKey(pem).export({ type: 'spki', format: 'der' });
  const publicKey = await core.derDeserializeRSAPublicKey(spki, PSS);

  const promise = await client.preRegisterNode(publicKey);
  const request = new core.PrivateNodeRegistrationRequest(publicKey, promise);
  const registration = await client.registerNode(await request.serialize(key));
  fs.writeFileSync(`${out}.pnr`, Buffer.from(await registration.serialize()));
  say('registered', registration.internetGatewayInternetAddress, registration.sessionKey ? 'with a session key' : '');

  const certificate = registration.privateNodeCertificate;
  for (const parcel of parcels) {
    try {
      await client.deliverParcel(octets(parcel), new core.ParcelDeliverySigner(certificate, key));
      say('delivered', parcel);
    } catch (error) {
      say('refused', parcel, error.name);
    }
  }
  const signers = [new core.ParcelCollectionHandshakeSigner(certificate, key)];
  let count = 0;
  for await (const collection of client.collectParcels(signers, core.StreamingMode.CLOSE_UPON_COMPLETION)) {
    count += 1;
    fs.writeFileSync(`${out}.${count}`, Buffer.from(collection.parcelSerialized));
    await collection.ack();
    say('collected', count);
  }
  say('closed');
}

// It waits for ever for an acknowledged end of a collection, and a test must not.
setTimeout(() => {
  process.stderr.write('not done after a minute\n');
  process.exit(1);
}, 60_000).unref();

main(...process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
