import { compareScripts } from './run-scripts.ts';

compareScripts('simple protocol');
