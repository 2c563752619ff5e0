-- The runtimes of a process share the OS threads that stay for the next thread.
local hosts = require "support.hosts"

describe("of two runtimes in a process", function()
  it("one closes while the other goes on, which could use the workers that are left", function()
    assert.equal("closed while the other runtime lives: yes\nstatus 0\n",
      hosts.run("workers", "close"))
  end)

  it("one starts a thread while the other's last one frees what it has left", function()
    assert.equal("started while the other runtime's globals are freed: yes\nstatus 0\n",
      hosts.run("workers", "start"))
  end)
end)
