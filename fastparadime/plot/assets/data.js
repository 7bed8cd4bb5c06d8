"use strict";
// The page of plot.html. Its data are gzip of a header's length, the header as JSON, and the arrays
// that the header names; everything from them reaches the page as text, never as HTML.

const $ = (id) => document.getElementById(id);
const ARRAYS = {
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array,
  int32: Int32Array, float32: Float32Array, float64: Float64Array,
};
const TEXT_END = "\u0000";

async function unpack() {
  const base64 = $("data").textContent;
  $("data").remove();
  const packed = atob(base64);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const base = Math.ceil((4 + length) / 8) * 8;
  const read = ({ dtype, offset, length: n }) => new ARRAYS[dtype](buffer, base + offset, n);
  return { header, read };
}

function number(value) {
  if (Number.isNaN(value)) return "";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

// A column that is shown and searched: `at` gives a row's text, `matching` a test of rows.
function column({ name, kind, values, array }, read) {
  const data = read(array);
  if (kind === "codes") {
    return {
      name,
      at: (row) => values[data[row]] ?? "",
      matching: (query) => {
        const found = values.map((value) => value.toLowerCase().includes(query));
        return (row) => found[data[row]] === true;
      },
    };
  }
  if (kind === "number") {
    return {
      name,
      at: (row) => number(data[row]),
      matching: (query) => {
        const wanted = query === "" ? NaN : Number(query);
        return (row) => data[row] === wanted || number(data[row]) === query;
      },
    };
  }
  let texts = null; // split when first looked at
  let lower = null;
  const all = () => (texts ??= new TextDecoder().decode(data).split(TEXT_END));
  return {
    name,
    at: (row) => all()[row],
    matching: (query) => {
      lower ??= all().map((text) => text.toLowerCase());
      return (row) => lower[row].includes(query);
    },
  };
}

// Points in an order without classes, or the last class would cover the others; always the same
// one. Those without a class come first, beneath the others.
function drawingOrder(n, codes, unknown) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let state = 2463534242;
  for (let i = n - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const other = (state >>> 0) % (i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  if (unknown < 0) return order;
  const beneath = order.filter((row) => codes[row] === unknown);
  const above = order.filter((row) => codes[row] !== unknown);
  order.set(beneath);
  order.set(above, beneath.length);
  return order;
}
