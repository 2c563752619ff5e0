-- Memory that runs out: every operation raises and leaves its table as it was.

local program = os.getenv "LTHREAD_FAILING"

describe("Each operation on a shared table", function()
  it("raises when any of its allocations fails, and changes and leaks nothing", function()
    assert(program, "LTHREAD_FAILING must name the program that make test builds for this")
    local script = "spec/support/shared_failures.lua"
    local pipe = io.popen(("timeout 300 '%s' %s 2>&1"):format(program, script))
    local text = pipe:read "a"
    assert.is_true(pipe:close(), text)
    assert.equal("done\n", text)
  end)
end)
