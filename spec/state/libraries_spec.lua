-- A host may have a luaL_openlibs of its own: each thread gets what that opens, anew.
local hosts = require "support.hosts"

-- What the library has for each thread.
local kinds = {
  box = "on the heap",
  garbage = "true",
  table = "of a table",
  stream = "1",
  number = "new",
  few = "nilnilxxx",
  replaced = "the host's own",
}

describe("Threads of a host with libraries of its own find in each state", function()
  for kind, found in pairs(kinds) do
    it(("%q"):format(found) .. ", of the kind " .. kind, function()
      assert.equal((found .. "\n"):rep(8) .. "status 0\n", hosts.run("libraries", kind))
    end)
  end
end)

it("States with the libraries of Lua alone are copied, whoever opens them", function()
  -- The address sanitizer shall see each block by itself: for it none is copied.
  local opened = os.getenv "LTHREAD_SANITIZER" == "asan" and "many" or "few"
  assert.equal(("integer\n"):rep(8) .. "states that were opened: " .. opened .. "\nstatus 0\n",
    hosts.run("libraries", "standard"))
end)
