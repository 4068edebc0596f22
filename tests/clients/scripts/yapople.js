// yapople
const fs = require('fs');
const { Client } = require(process.env.POP3_MODULE);
const [host, port, username, password, remove, security] = process.argv.slice(2);
// A connection that is gone leaves its promise for ever, and Node.js ends where nothing is left to do.
process.exitCode = 1;
(async () => {
  const client = new Client({
    host, hostname: host, port: Number(port), username, password, tls: security === 'pop3s', mailparser: false,
    options: { rejectUnauthorized: false },
  });
  await client.connect();
  const count = await client.count();
  for (let number = 1; number <= count; number += 1) {
    fs.writeFileSync(`out/${number}`, await client.retrieve(number));
    if (remove === '1') await client.delete(number);
  }
  await client.quit();
  process.exitCode = 0;
})().catch((error) => { console.error(String(error)); process.exit(1); });
