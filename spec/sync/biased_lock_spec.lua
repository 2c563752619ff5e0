-- The lock of shared tables and queues: its owner uses no barrier, and relies on that of others.
local hosts = require "support.hosts"

describe("a lock that is biased to a thread keeps all others out", function()
  it("with barriers by a system call", function()
    assert.equal("0 times both\nstatus 0\n", hosts.run("exclusion", "allowed"))
  end)

  it("when that call is forbidden meanwhile", function()
    assert.equal("0 times both\nstatus 0\n", hosts.run("exclusion", "forbidden"))
  end)
end)
