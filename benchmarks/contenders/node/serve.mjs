// The same measurement as serve.py: one JSON line in, nanoseconds of CPU out (all threads of the process).
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { handler } from "./handler.mjs";

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};

let path, body;
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  if (question.body !== path) {
    path = question.body;
    body = readFileSync(path, "utf8");
  }
  let parsing = 0;
  let processing = 0;
  for (let group = 0; group < question.groups; group++) {
    const begun = cpu();
    const events = [];
    for (let copy = 0; copy < question.copies; copy++) events.push(JSON.parse(body));
    const parsed = cpu();
    for (const event of events) await handler(event);
    processing += cpu() - parsed;
    parsing += parsed - begun;
  }
  const events = question.groups * question.copies;
  console.log(JSON.stringify({ parse: parsing / events, process: processing / events, peak_kb: process.resourceUsage().maxRSS }));
}
