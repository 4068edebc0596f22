// Puts "[ext] " before the subject, as a component. Octets come in pieces cut anywhere, so that the header is held until
// the subject is there.
import { write } from "pop3d:transform/host@1.0.0";

const TAG = Array.from(" [ext]", (letter) => letter.charCodeAt(0));

// As text of one octet a letter.
const text = (octets) => octets.reduce((text, octet) => text + String.fromCharCode(octet), "");

let held = [];

export const filter = {
  start(_message, _options) {
    held = [];
    return "more";
  },

  push(chunk) {
    // One by one: as arguments of one call they may be too many.
    for (const octet of chunk) held.push(octet);
    const header = text(held);
    const subject = /(^|\n)subject:/i.exec(header);
    const end = /(^|\n)\r?\n/.exec(header);
    if (subject && (!end || subject.index < end.index)) {
      held.splice(subject.index + subject[0].length, 0, ...TAG);
    } else if (!end) {
      return "more";
    }
    // The rest needs no look: the server copies it.
    write(new Uint8Array(held));
    held = [];
    return "pass";
  },

  finish() {
    write(new Uint8Array(held));
  },
};
