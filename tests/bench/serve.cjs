// serve.cjs PORT CERTIFICATE KEY AUTHORITY: a gateway as deployed ones do it, as far as a parcel is concerned: it is parsed
// and validated with the library that they use, against the certificate AUTHORITY (DER), and answered. Nothing is stored.
// RELAY_NOW is its time. Writes a line when it listens.
'use strict';

const shift = Date.parse(process.env.RELAY_NOW) - Date.now();
const SystemDate = Date;
global.Date = class extends SystemDate {
  constructor(...given) {
    if (given.length > 0) {
      super(...given);
    } else {
      super(SystemDate.now() + shift);
    }
  }

  static now() {
    return SystemDate.now() + shift;
  }
};

const fs = require('fs');
const https = require('https');
const core = require('@relaycorp/relaynet-core');

const octets = (buffer) => Uint8Array.from(buffer).buffer;
const [port, certificate, key, authority] = process.argv.slice(2);
const trusted = [core.Certificate.deserialize(octets(fs.readFileSync(authority)))];

async function judge(body) {
  const parcel = await core.Parcel.deserialize(octets(body));
  await parcel.validate(trusted);
}

const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key), keepAlive: true };
const server = https.createServer(options, (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    judge(Buffer.concat(parts)).then(
      () => response.writeHead(202, { 'Content-Length': 0 }).end(),
      (error) => {
        process.stderr.write(`${error}\n`);
        response.writeHead(403, { 'Content-Length': 0 }).end();
      },
    );
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'));
