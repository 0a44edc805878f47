// Loaded before a program: the picture whose path is in POISON ends the process that opens it, as the system does for its memory.
import { promises } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { open } = promises;
promises.open = (path, ...rest) => {
  if (path === process.env.POISON) process.kill(process.pid, 'SIGKILL');
  return open(path, ...rest);
};
syncBuiltinESMExports();
