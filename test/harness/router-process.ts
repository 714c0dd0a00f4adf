import { type RouterOptions, startRouter } from '../../src/cli/serve.ts';
import { silentLog } from '../../src/core/log.ts';

/* A router in a process of its own, to be killed: its options come as JSON in the first argument, `ready` goes to standard output. */

const options = JSON.parse(process.argv[2]!) as Omit<RouterOptions, 'log'>;
await startRouter({ ...options, log: silentLog });
process.stdout.write('ready\n');
