// Square arrays of float32 as .npy files, see numpy.lib.format.

const MAGIC = [0x93, ...[...'NUMPY'].map((c) => c.charCodeAt(0)), 1, 0];
const HEAD = 10; // bytes before the header: magic, version, length

/** { side, values } as a file. */
export function encode({ side, values }) {
  const said = `{'descr': '<f4', 'fortran_order': False, 'shape': (${side}, ${side}), }`;
  const header = said.padEnd(128 - HEAD - 1) + '\n';
  const bytes = new Uint8Array(HEAD + header.length + 4 * values.length);
  bytes.set([...MAGIC, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), HEAD);
  const view = new DataView(bytes.buffer, HEAD + header.length);
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return new Blob([bytes]);
}

/** { side, values } of a file as the service writes it; throws where it is another kind. */
export async function decode(blob) {
  const buffer = await blob.arrayBuffer();
  const view = new DataView(buffer);
  const length = view.getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, HEAD, length));
  const shape = /'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\)/.exec(header);
  if (!shape || shape[1] !== shape[2]) throw new Error('not a square array of float32');
  const side = Number(shape[1]);
  const values = Array.from({ length: side * side }, (_, i) => view.getFloat32(HEAD + length + 4 * i, true));
  return { side, values };
}
