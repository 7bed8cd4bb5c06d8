// Prints the licence texts of the packages that scatterplot.js is bundled from.
const fs = require("fs");

const ours = Object.entries(require("./package-lock.json").packages);
const bundled = ours.filter(([path, found]) => path && !found.dev);
console.log("scatterplot.js holds these packages under their authors' terms.");
for (const [path, found] of bundled) {
  const file = fs.readdirSync(path).find((name) => /^licen[cs]e/i.test(name));
  const text = file
    ? fs.readFileSync(`${path}/${file}`, "utf8").trim()
    : `The package names its licence, ${found.license}, without a text of its own.`;
  console.log(`\n${"-".repeat(79)}\n${path.replace("node_modules/", "")} ${found.version} (${found.license})\n\n${text}`);
}

// regl-scatterplot holds a copy of it, with this notice.
console.log(`\n${"-".repeat(79)}\nkdbush 4.0.2 (ISC), within regl-scatterplot

ISC License

Copyright (c) 2018, Vladimir Agafonkin

Permission to use, copy, modify, and/or distribute this software for any purpose
with or without fee is hereby granted, provided that the above copyright notice
and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS
OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER
TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.`);
