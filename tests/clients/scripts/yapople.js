// yapople
const fs = require('fs');
const { Client } = require(process.env.POP3_MODULE);
const [host, port, username, password, remove, security] = process.argv.slice(2);
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
})().catch((error) => { console.error(String(error)); process.exit(1); });
