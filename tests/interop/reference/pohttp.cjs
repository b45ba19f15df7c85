// pohttp.cjs URL PARCEL...: the PoHTTP client that Internet gateways and endpoints run, against a server on loopback.
//
// Posts each parcel, and writes what became of it, a line for each.
'use strict';

const fs = require('fs');

const { deliverParcel } = require('@relaycorp/relaynet-pohttp');

async function main(url, ...parcels) {
  for (const parcel of parcels) {
    const octets = Uint8Array.from(fs.readFileSync(parcel)).buffer;
    try {
      const { status } = await deliverParcel(url, octets);
      process.stdout.write(`delivered ${parcel} ${status}\n`);
    } catch (error) {
      process.stdout.write(`refused ${parcel} ${error.name}: ${error.message}\n`);
    }
  }
  // It keeps its connection, which would keep this process.
  process.exit(0);
}

main(...process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
