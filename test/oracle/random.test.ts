import { compareScripts } from './run-scripts.ts';

compareScripts('rows spread at random');
