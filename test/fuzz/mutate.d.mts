export function randomFrom(seed: number): () => number;
export function mutate(original: Uint8Array, seed: number): { kind: string; bytes: Uint8Array };
