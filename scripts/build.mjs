// npm run build
import { build, prepareModules, script } from './prepare.mjs';

await script(() => {
  prepareModules();
  build();
});
