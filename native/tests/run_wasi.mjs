// SPDX-License-Identifier: Apache-2.0
// Run a WASI program: node run_wasi.mjs PROGRAM.wasm [arguments...]; its VCOMPUTE_ISA is passed on.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const env = process.env.VCOMPUTE_ISA === undefined ? {} : { VCOMPUTE_ISA: process.env.VCOMPUTE_ISA };
const wasi = new WASI({ version: "preview1", args: process.argv.slice(2), env });
const module = await WebAssembly.compile(readFileSync(process.argv[2]));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
