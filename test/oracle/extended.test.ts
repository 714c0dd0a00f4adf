import { compareScripts } from './run-scripts.ts';

compareScripts('extended protocol');
