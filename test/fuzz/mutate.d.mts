export function randomFrom(seed: number): () => number;
export function mutate(original: Uint8Array, seed: number): { kind: string; bytes: Uint8Array };
export function mutatePicture(original: Uint8Array, seed: number): { kind: string; bytes: Uint8Array };
export function mutateModel<Proto>(
  original: Uint8Array,
  seed: number,
  codec: { decode(bytes: Uint8Array): Proto; encode(proto: Proto): Uint8Array },
): { kind: string; bytes: Uint8Array };
