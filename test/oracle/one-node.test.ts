import { compareScripts } from './run-scripts.ts';

compareScripts('rows on one node');
