// node main.mjs FOLDER_OF_THE_PACKAGE <target.json >report.json

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { report } from "./report.mjs";

const folder = process.argv[2];
const { version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
const { default: OpenAI } = await import(pathToFileURL(`${folder}/index.mjs`));
const target = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await report(OpenAI, version, target, {})));
