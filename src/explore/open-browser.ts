import { spawn } from 'node:child_process';

/** Opens an address in the system's browser; where there is none, nothing happens: the address is printed anyway. */
export function openBrowser(address: string, platform = process.platform): void {
  const [command, ...args] = {
    darwin: ['open', address],
    win32: ['cmd', '/c', 'start', '""', address],
  }[platform as 'darwin' | 'win32'] ?? ['xdg-open', address];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
