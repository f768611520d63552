// The side of child.py that runs a handler of Node.js: imports it and answers invocations until its pipe closes.
//
// Requests and answers are JSON lines on two pipes of their own: whatever the handler prints stays apart from its
// answers. It uses nothing but Node's own modules.

import { createReadStream, existsSync, writeSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [reads, writes, handlerPath, code] = process.argv.slice(2);

function say(message) {
  let rest = Buffer.from(`${JSON.stringify(message)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(Number(writes), rest));
}

// Lambda's own names of what goes wrong before a handler is there.
const NOT_FOUND = new Set(["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"]);

function described(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), stackTrace: [] };
  const errorType = NOT_FOUND.has(error.code) ? "Runtime.ImportModuleError" : error.name;
  return { errorType, errorMessage: error.message, stackTrace: String(error.stack).split("\n") };
}

function failure(name, message) {
  return Object.assign(new Error(message), { name });
}

async function loaded() {
  const dot = handlerPath.lastIndexOf(".");
  const [module, name] = [handlerPath.slice(0, dot), handlerPath.slice(dot + 1)];
  const file = [".js", ".mjs", ".cjs"].map((end) => path.join(code, module + end)).find((one) => existsSync(one));
  if (file === undefined) {
    throw failure("Runtime.ImportModuleError", `Cannot find module '${module}': wanted ${module}.js, .mjs or .cjs`);
  }
  const exported = await import(pathToFileURL(file).href);
  const handler = exported[name] ?? exported.default?.[name];
  if (typeof handler !== "function") {
    throw failure("Runtime.HandlerNotFound", `${path.basename(file)} exports no function ${name}`);
  }
  return handler;
}

function contextOf(request) {
  const ends = Date.now() + request.timeout * 1000;
  const name = process.env.AWS_LAMBDA_FUNCTION_NAME;
  return {
    awsRequestId: request.request_id,
    callbackWaitsForEmptyEventLoop: true,
    functionName: name,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: request.function_arn,
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: `local/${process.pid}`,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    getRemainingTimeInMillis: () => Math.max(0, ends - Date.now()),
  };
}

// A handler answers by a promise, or by calling back.
function invoked(handler, request) {
  return new Promise((resolve, reject) => {
    const back = (error, value) => (error ? reject(error) : resolve(value));
    const answer = handler(request.event, contextOf(request), back);
    if (typeof answer?.then === "function") answer.then(resolve, reject);
    else if (answer !== undefined || handler.length < 3) resolve(answer);
  });
}

async function answered(handler, request) {
  process.env._X_AMZN_TRACE_ID = `Root=${request.request_id};Sampled=0`;
  const began = Date.now() / 1000;
  try {
    return { began, payload: JSON.stringify((await invoked(handler, request)) ?? null) };
  } catch (error) {
    return { began, error: described(error) };
  }
}

let handler;
try {
  handler = await loaded();
} catch (error) {
  say({ init_error: described(error) });
  process.exit(0);
}
say({ ready: true });
for await (const line of createInterface({ input: createReadStream(null, { fd: Number(reads) }) })) {
  say(await answered(handler, JSON.parse(line)));
}
process.exit(0);
