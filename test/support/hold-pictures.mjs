// Loaded before a program by `Hold` (hold.ts): files called held… are opened only once they are let go.
import { existsSync, promises, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const { open } = promises;
promises.open = async (path, ...rest) => {
  const name = basename(String(path));
  if (name.startsWith('held')) {
    const place = join(process.env.HOLD, name);
    writeFileSync(`${place}.asked`, '');
    while (!existsSync(`${place}.free`)) await wait(5);
  }
  return open(path, ...rest);
};
syncBuiltinESMExports();
