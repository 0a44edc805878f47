import { readFileSync } from 'node:fs';

/** An operator of the default ONNX domain, as onnx.defs has it; schema.py wrote the list. */
export interface Operator {
  /** Operator sets that changed it. */
  readonly versions: readonly number[];
  /** The operator set that removed it. */
  readonly deprecated?: number;
  readonly inputs: readonly string[];
  readonly floatInputs: readonly string[];
  readonly floatOutputs: readonly string[];
}

export const schema = JSON.parse(readFileSync(new URL('schema.json', import.meta.url), 'utf8')) as {
  readonly newest: number;
  readonly operators: Readonly<Record<string, Operator>>;
};
