-- Memory that runs out: every operation raises and leaves its table as it was.

local program = os.getenv "LTHREAD_FAILING"

-- A process for each: so many errors in one are too much for the thread sanitizer.
describe("Each operation on a shared table", function()
  for how, what in pairs { once = "any", on = "any, and all after it," } do
    it("raises when " .. what .. " of its allocations fails, and leaves all as it was", function()
      assert(program, "LTHREAD_FAILING must name the program that make test builds for this")
      local script = "spec/support/shared_failures.lua"
      local pipe = io.popen(("timeout 300 '%s' %s %s 2>&1"):format(program, script, how))
      local text = pipe:read "a"
      assert.is_true(pipe:close(), text)
      assert.equal("done\n", text)
    end)
  end
end)
