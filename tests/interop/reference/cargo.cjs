// cargo.cjs PORT deliver MS FILE...: the client of CogRPC that desktop gateways run, in a local network. It delivers the
// files, and waits so many milliseconds after each.
// cargo.cjs PORT collect CCA OUT...: collects as often at once as there are names; what comes is in OUT.1, OUT.2 and so on.
//
// Prints a line for each event.
'use strict';

const fs = require('fs');

const { CogRPCClient } = require('@relaycorp/cogrpc');

const [port, action, ...rest] = process.argv.slice(2);

function say(...words) {
  process.stdout.write(`${words.join(' ')}\n`);
}

async function* cargoes(pause, files) {
  for (const file of files) {
    yield { localId: file, cargo: fs.readFileSync(file) };
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function deliver(client, pause, ...files) {
  for await (const file of client.deliverCargo(cargoes(Number(pause), files))) {
    say('acknowledged', file);
  }
}

async function collect(client, cca, out) {
  let count = 0;
  for await (const cargo of client.collectCargo(fs.readFileSync(cca))) {
    count += 1;
    fs.writeFileSync(`${out}.${count}`, cargo);
  }
  return count;
}

async function main() {
  const client = await CogRPCClient.initLan(`127.0.0.1:${port}`);
  try {
    if (action === 'deliver') {
      await deliver(client, ...rest);
    } else {
      const [cca, ...outs] = rest;
      const counts = await Promise.all(outs.map((out) => collect(client, cca, out)));
      say('collected', ...counts.sort());
    }
  } catch (error) {
    // Its own words are before the server's.
    say('error', error.message.replace(/^[^:]*: /, ''));
  }
  client.close();
}

main();
