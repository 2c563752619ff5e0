local child = require "fixtures.child"

-- Only the interpreter that the sanitizers watch has allocations that fail on demand.
if os.getenv("LTHREAD_SANITIZER") ~= "asan" or not pcall(require, "memory") then
  return
end

-- Each allocation in turn fails, alone and with all that follow: see support/failing.lua.
describe("want of memory raises, leaks nothing and leaves all usable", function()
  for _, operation in ipairs { "open", "locks", "exceptions", "start", "join", "transfer",
    "modules", "errors", "hook", "reports", "local", "commands", "queues", "loans" } do
    it("in " .. operation, function()
      local output = child("return dofile 'spec/support/failing.lua'", nil, operation)
      assert.matches("\npassed\nstatus 0\n$", output)
    end)
  end
end)
