/** Milliseconds of the processor that this process has used: unlike the clock, they do not pass while others work. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
