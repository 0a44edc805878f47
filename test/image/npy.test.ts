import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { encodeNpy, parseNpy, readNpy } from '../../src/image/npy.js';
import { float32, type Tensor } from '../../src/tensor.js';
import { processorTime } from '../support/processor-time.js';

/** A file as `numpy.lib.format` lays it out: padded so that the numbers begin on a multiple of 64. */
function npyFile(descriptor: string, shape: string, data: Uint8Array, version = 1, fortran = false): Buffer {
  const order = fortran ? 'True' : 'False';
  const text = `{'descr': ${descriptor}, 'fortran_order': ${order}, 'shape': ${shape}, }`;
  const head = version === 1 ? 10 : 12;
  const padded = `${text.padEnd(Math.ceil((head + text.length + 1) / 64) * 64 - head - 1)}\n`;
  const prefix = Buffer.alloc(head);
  prefix.write('\x93NUMPY', 'latin1');
  prefix[6] = version;
  if (version === 1) prefix.writeUInt16LE(padded.length, 8);
  else prefix.writeUInt32LE(padded.length, 8);
  return Buffer.concat([prefix, Buffer.from(padded, 'latin1'), data]);
}
const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

// Written by NumPy 2.4: arange(6, dtype='<f4').reshape(2, 3) / 4, and the same as '>f8', Fortran order, version 2.
const quarters =
  'k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPgAAAD8AAEA/AACAPwAAoD8=';
const fortran =
  'k05VTVBZAgB0AAAAeydkZXNjcic6ICc+ZjgnLCAnZm9ydHJhbl9vcmRlcic6IFRydWUsICdzaGFwZSc6ICgyLCAzKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAAAAAD/oAAAAAAAAP9AAAAAAAAA/8AAAAAAAAD/gAAAAAAAAP/QAAAAAAAA=';

describe('reading', () => {
  test('files that NumPy wrote', () => {
    const values = [0, 0.25, 0.5, 0.75, 1, 1.25];
    expect(parseNpy(Buffer.from(quarters, 'base64'))).toEqual(float32(Float32Array.from(values), [2, 3]));
    expect(parseNpy(Buffer.from(fortran, 'base64'))).toEqual({
      type: 'float64',
      dims: [2, 3],
      data: Float64Array.from(values),
    });
  });

  test('every kind of number', () => {
    const cases: [string, Uint8Array, string, (number | bigint)[]][] = [
      ["'|b1'", Uint8Array.of(1, 0, 2), 'bool', [1, 0, 1]],
      ["'|u1'", Uint8Array.of(1, 0, 255), 'uint8', [1, 0, 255]],
      ["'|i1'", Uint8Array.of(1, 0, 255), 'int32', [1, 0, -1]],
      ["'<u2'", Uint8Array.of(1, 0, 0, 128, 255, 255), 'int32', [1, 32768, 65535]],
      ["'>u2'", Uint8Array.of(0, 1, 128, 0, 255, 255), 'int32', [1, 32768, 65535]],
      ["'<i2'", Uint8Array.of(1, 0, 0, 128, 255, 255), 'int32', [1, -32768, -1]],
      ["'<i4'", bytes(Int32Array.of(5, -5, 2 ** 30)), 'int32', [5, -5, 2 ** 30]],
      ["'>i4'", Uint8Array.of(0, 0, 0, 5, 255, 255, 255, 251, 64, 0, 0, 0), 'int32', [5, -5, 2 ** 30]],
      ["'<u4'", bytes(Uint32Array.of(5, 0, 2 ** 32 - 1)), 'int64', [5n, 0n, 4294967295n]],
      ["'<i8'", bytes(BigInt64Array.of(-5n, 0n, 2n ** 40n)), 'int64', [-5n, 0n, 2n ** 40n]],
      ["'<u8'", bytes(BigUint64Array.of(5n, 0n, 2n ** 63n - 1n)), 'int64', [5n, 0n, 2n ** 63n - 1n]],
      ["'<f8'", bytes(Float64Array.of(0.1, -0, Number.NaN)), 'float64', [0.1, -0, Number.NaN]],
      [
        "'>f4'",
        Uint8Array.of(0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0, 0x7f, 0x80, 0, 0),
        'float32',
        [1, -2, Infinity],
      ],
    ];
    for (const [descriptor, data, type, values] of cases) {
      for (const version of [1, 2, 3]) {
        const tensor = parseNpy(npyFile(descriptor, '(3,)', data, version));
        expect([tensor.type, [...tensor.dims], [...tensor.data]]).toEqual([type, [3], values]);
      }
    }
  });

  test('half precision', () => {
    // NumPy: array([1.5, -2, 65504, 6e-8, inf, nan, -0, 2⁻¹⁴], dtype=float16).view('u2')
    const halves = bytes(Uint16Array.of(15872, 49152, 31743, 1, 31744, 32256, 32768, 1024));
    const { data } = parseNpy(npyFile("'<f2'", '(8,)', halves));
    expect([...data]).toEqual([1.5, -2, 65504, 2 ** -24, Infinity, Number.NaN, -0, 2 ** -14]);
  });

  test('no dims, an empty axis, three axes in Fortran order, an unaligned start', () => {
    expect(parseNpy(npyFile("'<i4'", '()', bytes(Int32Array.of(7))))).toEqual({
      type: 'int32',
      dims: [],
      data: Int32Array.of(7),
    });
    expect(parseNpy(npyFile("'<f4'", '(0, 3)', new Uint8Array(0)))).toEqual(
      float32(new Float32Array(0), [0, 3]),
    );
    const columns = Float32Array.from({ length: 24 }, (_, i) => {
      const [a, b, c] = [i % 2, Math.floor(i / 2) % 3, Math.floor(i / 6)]; // first index fastest
      return 100 * a + 10 * b + c;
    });
    const file = npyFile("'<f4'", '(2, 3, 4)', bytes(columns), 1, true);
    const shifted = Buffer.concat([Buffer.alloc(3), file]).subarray(3);
    const rows = Array.from(
      { length: 24 },
      (_, i) => 100 * Math.floor(i / 12) + 10 * (Math.floor(i / 4) % 3) + (i % 4),
    );
    expect(parseNpy(shifted)).toEqual(float32(Float32Array.from(rows), [2, 3, 4]));
  });

  test('what follows the numbers is ignored, as in NumPy', () => {
    const [first, second] = [Float32Array.of(1, 2), Float32Array.of(3)].map((data) =>
      encodeNpy(float32(data, [data.length])),
    );
    expect(parseNpy(Buffer.concat([first, second]))).toEqual(float32(Float32Array.of(1, 2), [2]));
  });

  test('64 dims in Fortran order take no longer than few', () => {
    const data = Float32Array.from({ length: 2 ** 20 }, (_, i) => i);
    const ones = '1, '.repeat(62);
    const start = processorTime();
    const many = parseNpy(npyFile("'<f4'", `(1024, 1024, ${ones})`, bytes(data), 1, true));
    expect(processorTime() - start).toBeLessThan(2000);
    expect(many.dims).toHaveLength(64);
    const few = parseNpy(npyFile("'<f4'", '(1024, 1024)', bytes(data), 1, true));
    expect(Buffer.compare(bytes(many.data), bytes(few.data))).toBe(0);
    expect([...many.data.subarray(0, 3)]).toEqual([0, 1024, 2048]);
  });

  test('the numbers are a copy', () => {
    const file = npyFile("'|u1'", '(2,)', Uint8Array.of(1, 2));
    const { data } = parseNpy(file);
    data[0] = 9;
    expect(file[file.length - 2]).toBe(1);
  });
});

describe('malformed files are one INVALID_IMAGE sentence', () => {
  const four = new Uint8Array(16);
  const good = npyFile("'<f4'", '(2, 2)', four);
  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(0), 'it does not begin like a .npy file'],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\nxxxxxxxx', 'latin1'), 'it does not begin like a .npy file'],
    ['cut in the prefix', good.subarray(0, 9), 'the file ends too early'],
    ['cut in the header', good.subarray(0, 40), 'the file ends too early'],
    [
      'cut in the numbers',
      good.subarray(0, -1),
      'the file ends too early: dims [2, 2] of <f4 need 16 bytes, and it holds 15',
    ],
    ['version 4', npyFile("'<f4'", '(2, 2)', four, 4), 'its format version is 4.0, and 1 to 3 are read'],
    ['records', npyFile("[('a', '<f4')]", '(4,)', four), 'it holds records, and only plain numbers are read'],
    [
      'complex',
      npyFile("'<c8'", '(2,)', four),
      'its element type is "<c8", and only numbers of 1 to 8 bytes are read',
    ],
    [
      'objects',
      npyFile("'|O'", '(2,)', four),
      'its element type is "|O", and only numbers of 1 to 8 bytes are read',
    ],
    [
      'text',
      npyFile("'<U1'", '(4,)', four),
      'its element type is "<U1", and only numbers of 1 to 8 bytes are read',
    ],
    [
      'no order',
      npyFile("'?f4'", '(4,)', four),
      'its element type is "?f4", and only numbers of 1 to 8 bytes are read',
    ],
    [
      'huge dims',
      npyFile("'<f4'", '(9999999999999, 9999999)', four),
      'its dims "(9999999999999, 9999999)" are impossible',
    ],
    [
      'more than there is',
      npyFile("'<f4'", '(1000000000000,)', four),
      'the file ends too early: dims [1000000000000] of <f4 need 4000000000000 bytes, and it holds 16',
    ],
    ['negative dims', npyFile("'<f4'", '(-2, 2)', four), 'its dims "(-2, 2)" are impossible'],
    ['an empty dim', npyFile("'<f4'", '(2,, 2)', four), 'its dims "(2,, 2)" are impossible'],
    ['65 dims', npyFile("'<f4'", `(${'1, '.repeat(65)})`, four), 'it has 65 dims, and at most 64 are read'],
    [
      '100,000 dims in Fortran order',
      npyFile("'<f4'", `(${'1, '.repeat(100_000)})`, four, 2, true),
      'it has 100000 dims, and at most 64 are read',
    ],
    [
      'a header of 20 MB',
      npyFile("'<f4'", `(2, 2), 'x': '${'y'.repeat(20_000_000)}'`, four, 2),
      'its header has 20000116 bytes, and at most 1048576 are read',
    ],
    [
      'a descriptor that is long',
      npyFile(`'<${'f'.repeat(500)}'`, '(2, 2)', four),
      `its element type is "<${'f'.repeat(76)}...", and only numbers of 1 to 8 bytes are read`,
    ],
    [
      'many dims that need more than there is',
      npyFile("'<f4'", `(${'2, '.repeat(20)})`, four),
      'the file ends too early: dims [2, 2, 2, 2, 2, 2, ... 20 in all] of <f4 need 4194304 bytes, and it holds 16',
    ],
    [
      '16-byte floats',
      npyFile("'<f16'", '(1,)', four),
      'its element type is "<f16", and only numbers of 1 to 8 bytes are read',
    ],
    ['two numbers without a comma', npyFile("'<f4'", '(2 2)', four), 'its dims "(2 2)" are impossible'],
    [
      'not a dictionary',
      npyFile("'<f4', 'x': 1} if True else {'y': 2", '(2, 2)', four).fill(0x20, 10, 11),
      'its header is damaged',
    ],
    [
      'unsigned beyond our range',
      npyFile("'<u8'", '(2,)', bytes(BigUint64Array.of(1n, 2n ** 63n))),
      'it holds unsigned numbers of 2⁶³ or more',
    ],
  ])('%s', (_, file, reason) => {
    const read = () => parseNpy(file, 'a/map.npy');
    expect(read).toThrow(GradcamppError);
    expect(read).toThrow(`"a/map.npy" cannot be read as .npy: ${reason}.`);
  });

  test('random damage: a tensor or an INVALID_IMAGE sentence', () => {
    let state = 3;
    const random = (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 5000; round++) {
      const damaged = Buffer.from(good).subarray(0, good.length - random(3));
      for (let flips = 1 + random(3); flips > 0; flips--) damaged[random(100)] ^= 1 << random(8);
      try {
        const { dims, data } = parseNpy(damaged);
        expect(data.length).toBe(dims.reduce((a, b) => a * b, 1));
      } catch (error) {
        if (!(error instanceof GradcamppError)) throw error;
        expect(error.code).toBe('INVALID_IMAGE');
      }
    }
  });
});

describe('writing', () => {
  test('the bytes that NumPy writes', () => {
    const tensor = float32(Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25), [2, 3]);
    expect(Buffer.from(encodeNpy(tensor)).toString('base64')).toBe(quarters);
    expect(Buffer.from(encodeNpy({ type: 'int32', dims: [], data: Int32Array.of(7) }))).toEqual(
      npyFile("'<i4'", '()', bytes(Int32Array.of(7))),
    );
    expect(
      Buffer.from(encodeNpy({ type: 'int64', dims: [2], data: BigInt64Array.of(-5n, 2n ** 40n) })),
    ).toEqual(npyFile("'<i8'", '(2,)', bytes(BigInt64Array.of(-5n, 2n ** 40n))));
  });

  test('every type comes back, also from the middle of a buffer', () => {
    const tensors: Tensor[] = [
      { type: 'float64', dims: [1, 2], data: Float64Array.of(0.1, -1e300) },
      { type: 'uint8', dims: [3], data: Uint8Array.of(0, 1, 255) },
      { type: 'bool', dims: [2], data: Uint8Array.of(0, 1) },
      { type: 'int64', dims: [1], data: BigInt64Array.of(-(2n ** 63n)) },
      { type: 'float32', dims: [2], data: Float32Array.of(9, 1, 2, 9).subarray(1, 3) },
      { type: 'float32', dims: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], data: Float32Array.of(3) },
    ];
    for (const tensor of tensors) {
      const file = encodeNpy(tensor);
      const back = parseNpy(file);
      expect([back.type, back.dims, [...back.data]]).toEqual([tensor.type, tensor.dims, [...tensor.data]]);
      expect((file.length - tensor.data.byteLength) % 64).toBe(0);
    }
  });

  test('data that do not fill dims', () => {
    expect(() => encodeNpy({ type: 'uint8', dims: [3], data: new Uint8Array(2) })).toThrow(
      '"dims" must be a list of dims that 2 elements fill; received [3].',
    );
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gradcampp-npy-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('are read by path; a missing one and a folder say so', async () => {
    const tensor = float32(Float32Array.of(1, 2), [2]);
    await writeFile(join(folder, 'a.npy'), encodeNpy(tensor));
    expect(await readNpy(join(folder, 'a.npy'))).toEqual(tensor);
    await expect(readNpy(join(folder, 'b.npy'))).rejects.toThrow(
      'cannot be read as .npy: there is no such file.',
    );
    await expect(readNpy(folder)).rejects.toThrow('cannot be read as .npy: it is a folder.');
  });
});
