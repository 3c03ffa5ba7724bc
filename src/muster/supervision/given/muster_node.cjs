// Loaded by node before vitest or jest: has it write a report, and run only some tests.
'use strict'

const { readFileSync } = require('node:fs')
const { basename, join } = require('node:path')
const { isMainThread } = require('node:worker_threads')

const { MUSTER_JUNIT: report, MUSTER_ONLY: only, MUSTER_GIVEN: given } = process.env
const program = /^(vitest|jest)(\.[cm]?js)?$/.exec(basename(process.argv[1] || ''))

// A runner that a test starts is another's: only the first one is told.
if (isMainThread && program && report && !process.env.MUSTER_NODE) {
  process.env.MUSTER_NODE = program[1]
  const own = process.argv.slice(2)
  const options = []
  if (program[1] === 'jest') {
    options.push('--json', `--outputFile=${report}`)
  } else {
    const named = own.some((word) => /^--reporters?(=|$)/.test(word))
    if (!named) options.push('--reporter=default')
    options.push('--reporter=junit', `--outputFile.junit=${report}`)
  }
  if (only) options.push(`--testNamePattern=${readFileSync(join(given, only), 'utf8')}`)
  process.argv.splice(2, 0, ...options)
}
