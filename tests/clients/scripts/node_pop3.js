// node-pop3
const fs = require('fs');
const imported = require('node-pop3');
const Pop3Command = imported.default || imported;
const [host, port, user, password, remove, security] = process.argv.slice(2);
(async () => {
  const pop3 = new Pop3Command({
    host, port: Number(port), user, password, timeout: 60000,
    tls: security === 'pop3s', tlsOptions: { rejectUnauthorized: false },
  });
  for (const [number] of await pop3.LIST()) {
    fs.writeFileSync(`out/${number}`, await pop3.RETR(number));
    if (remove === '1') await pop3.command('DELE', number);
  }
  await pop3.QUIT();
})().catch((error) => { console.error(String(error)); process.exit(1); });
