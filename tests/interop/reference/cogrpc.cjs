// cogrpc.cjs MODE CERTIFICATE KEY OUT GIVE...: a server on grpc-js with the service definition that the Internet gateway of
// the network runs.
//
// Prints its port, then a line for each event. Delivered cargo becomes OUT.1, OUT.2 and so on; the files GIVE are what it
// gives. As `courier` it is what the couriers of phones are: it ends a delivery as soon as the client closes its side,
// though acknowledgements take a while, ends it at a cargo of over a million octets with INVALID_ARGUMENT, and a
// collection after the last acknowledgement. As `gateway` it acknowledges at once, and ends a collection after the last cargo.
'use strict';

const fs = require('fs');

const { CargoRelayService } = require('@relaycorp/cogrpc');
const grpc = require('@grpc/grpc-js');

const [mode, certificate, key, out, ...gives] = process.argv.slice(2);
let count = 0;

function say(...words) {
  process.stdout.write(`${words.join(' ')}\n`);
}

function deliverCargo(call) {
  let hasEnded = false;
  say('delivering', call.metadata.get('authorization').length, call.getDeadline() === Infinity ? 'for ever' : 'in time');
  call.on('data', ({ id, cargo }) => {
    if (mode === 'courier' && cargo.length > 1000000) {
      hasEnded = true;
      say('refused');
      call.emit('error', { code: grpc.status.INVALID_ARGUMENT, details: 'Ung\u00fcltig' });
      return;
    }
    count += 1;
    fs.writeFileSync(`${out}.${count}`, cargo);
    const acknowledge = () => (hasEnded ? say('dropped') : call.write({ id }));
    if (mode === 'courier') {
      setTimeout(acknowledge, 50);
    } else {
      acknowledge();
    }
  });
  call.on('end', () => {
    if (!hasEnded) {
      hasEnded = true;
      say('delivered', count);
      call.end();
    }
  });
}

function collectCargo(call) {
  const [authorization] = call.metadata.get('authorization');
  const [scheme, cca] = (authorization || '').split(' ');
  fs.writeFileSync(`${out}.cca`, Buffer.from(cca || '', 'base64'));
  say('collecting', scheme);
  const unacknowledged = new Set();
  const end = () => {
    say('collected', unacknowledged.size);
    call.end();
  };
  call.on('data', ({ id }) => {
    unacknowledged.delete(id);
    if (mode === 'courier' && unacknowledged.size === 0) {
      end();
    }
  });
  gives.forEach((file, number) => {
    const id = `8f14e45f-ceea-467f-a0e6-00000000000${number}`;
    unacknowledged.add(id);
    call.write({ id, cargo: fs.readFileSync(file) });
  });
  if (mode === 'gateway' || gives.length === 0) {
    end();
  }
}

const server = new grpc.Server({
  'grpc.max_receive_message_length': 9437440,
  'grpc.max_concurrent_streams': 3,
});
server.addService(CargoRelayService, { deliverCargo, collectCargo });
const pair = { cert_chain: fs.readFileSync(certificate), private_key: fs.readFileSync(key) };
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createSsl(null, [pair], false), (error, port) => {
  if (error) {
    throw error;
  }
  say(port);
});
