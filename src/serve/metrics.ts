import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ExplainService } from './explain-service.js';

/** What a Prometheus server reads of a service, and of the process that it is in. */
export class Metrics {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #requests: Counter<'status'>;
  readonly #seconds: Histogram;

  constructor(service: ExplainService) {
    const registers = [this.#registry];
    this.contentType = this.#registry.contentType;
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: 'gradcampp_requests_total',
      help: 'Answers to POST /explain, by HTTP status',
      labelNames: ['status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'gradcampp_explain_seconds',
      help: 'Seconds from a request to its explanation, waiting included',
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    const gauges: readonly [name: string, help: string, read: () => number][] = [
      ['gradcampp_waiting', 'Pictures in the queue', () => service.waiting],
      ['gradcampp_running', 'Pictures that are being explained', () => service.running],
      ['gradcampp_capacity', 'Pictures that may be here at once', () => service.capacity],
    ];
    for (const [name, help, read] of gauges) this.#registry.registerMetric(gauge(name, help, read));
  }

  /** @param milliseconds that an explanation took; absent where there was none */
  answered(status: number, milliseconds?: number): void {
    this.#requests.inc({ status });
    if (milliseconds !== undefined) this.#seconds.observe(milliseconds / 1000);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** A number that is read when it is asked for. */
function gauge(name: string, help: string, read: () => number): Gauge {
  return new Gauge({
    name,
    help,
    registers: [],
    collect() {
      this.set(read());
    },
  });
}
