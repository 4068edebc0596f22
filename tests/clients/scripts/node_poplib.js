// poplib and what came of it (mailpop3)
const fs = require('fs');
const [host, port, user, password, remove, security, mechanism] = process.argv.slice(2);
const POP3Client = require(process.env.POP3_MODULE);
function fail(what) { console.error(what); process.exit(1); }
const client = new POP3Client(Number(port), host, { enabletls: security === 'pop3s', tlserrs: false, ignoretlserrs: true });
let count = 0, number = 0;
function login() {
  if (mechanism === 'user') client.login(user, password);
  else if (mechanism === 'apop') client.apop(user, password);
  else client.auth(mechanism, user, password);
}
function next() {
  number += 1;
  if (number > count) client.quit();
  else client.retr(number);
}
client.on('error', (error) => fail(`error: ${error && error.message || error}`));
client.on('invalid-state', (command) => fail(`invalid state: ${command}`));
client.on('locked', (command) => fail(`locked: ${command}`));
client.on('close', () => fail('closed'));
client.on('connect', () => { if (security === 'stls') client.stls(); else login(); });
client.on('stls', (status, data) => { if (status) login(); else fail(`no STLS: ${data}`); });
for (const event of ['login', 'apop', 'auth']) {
  client.on(event, (status, data) => { if (status) client.stat(); else fail(`cannot log in: ${data}`); });
}
client.on('stat', (status, data) => { count = Number(data.count); next(); });
client.on('retr', (status, at, data) => {
  if (!status) fail(`no message ${number}`);
  fs.writeFileSync(`out/${number}`, data);
  if (remove === '1') client.dele(number); else next();
});
client.on('dele', (status) => { if (status) next(); else fail('cannot delete'); });
client.on('quit', (status) => { if (status) process.exit(0); else fail('no answer to QUIT'); });
