import { dataRootAt } from '../cluster/data-root.ts';
import { host, type ReadyHerd, type Report } from './herd-report.ts';

/** Progress as lines on standard error, and on standard output what a user needs to connect. */
export function terminalReport(startedMs: number, footer: string): Report {
  return {
    progress: (message) => void process.stderr.write(`pgherd: ${message}\n`),
    ready: (herd) => {
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      process.stdout.write(`\npgherd is ready (${seconds} s)\n\n${connectLines(herd)}\n\n${footer}\n`);
    },
  };
}

/** Progress as lines on standard error; on standard output one JSON object. */
export function jsonReport(): Report {
  return {
    progress: (message) => void process.stderr.write(`pgherd: ${message}\n`),
    ready: (herd) => {
      const { routerPort, httpPort, dataDir, nodes } = herd;
      const dashboard = httpPort === null ? null : httpUrl(httpPort);
      const place = { dataDir, url: connectionUrl(routerPort), port: routerPort, nodes, dashboard };
      process.stdout.write(`${JSON.stringify(place, null, 2)}\n`);
    },
  };
}

export function connectLines({ routerPort, httpPort, dataDir, nodes }: ReadyHerd): string {
  return [
    `  connect  ${psqlLine(routerPort)}`,
    `  url      ${connectionUrl(routerPort)}`,
    ...(httpPort === null ? [] : [`  watch    ${httpUrl(httpPort)}`]),
    `  herd     coordinator and ${nodes} node${nodes === 1 ? '' : 's'}`,
    `  data     ${dataDir}`,
    `  log      ${dataRootAt(dataDir).logDir}`,
  ].join('\n');
}

export function psqlLine(port: number): string {
  return `psql -h ${host} -p ${port} -U postgres postgres`;
}

export function httpUrl(port: number): string {
  return `http://${host}:${port}/`;
}

export function connectionUrl(port: number): string {
  return `postgresql://postgres@${host}:${port}/postgres`;
}
