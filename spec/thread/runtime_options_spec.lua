-- What a host in C says of its runtime: spec/hosts/options.c.
local run = require "support.hosts".run

describe("lthread.h", function()
  it("agrees with the library about the version", function()
    assert.equal("agree: yes yes\nclosed soon\nstatus 0\n", run("options", "version"))
  end)

  it("is refused where the library is of another version", function()
    assert.matches("^the host was compiled with lthread%.h of version .*, the library is .*\n"
      .. "closed soon\nstatus 0\n$", run("options", "later"))
  end)
end)

describe("lthread_open", function()
  it("may come again with the same options or none, but not with others", function()
    assert.matches("^before: 0\nopen: yes\nopen: yes\nopen: yes\n"
      .. "4: RuntimeError: lthread is already open here, with other options.*\n"
      .. "closed soon\nstatus 0\n$",
      run("options", "twice"))
  end)

  it("looks at the size first", function()
    assert.matches("^4: ValueError: options%.size is 0, .*\n"
      .. "4: ValueError: an option is set that lthread .* does not know.*\n"
      .. "open: yes\nopen: yes\nopen: yes\nclosed soon\nstatus 0\n$", run("options", "size"))
  end)

  it("has each thread begin and end on its OS thread", function()
    assert.equal("open: yes\n0\n1\n1\n1\n8 began, 8 ended\nclosed soon\nstatus 0\n",
      run("options", "threads"))
  end)

  it("limits the memory of each thread but the main one", function()
    assert.matches("^open: yes\ntrue\ntrue\nfalse\t[^\n]*ValueError: [^\n]*no more than 2097152;"
      .. "[^\n]*\ntrue\nclosed soon\nstatus 0\n$", run("options", "each"))
  end)

  it("limits the memory of all threads together, which those give back that end", function()
    assert.equal("open: yes\nfalse\tnot enough memory\ntrue\ntrue\ntrue\nclosed soon\nstatus 0\n",
      run("options", "all"))
  end)

  for grace, closed in pairs { none = "soon", short = "soon", default = "late" } do
    it("gives threads that stay in C no more time than they have: " .. grace, function()
      assert.equal("open: yes\nclosed " .. closed .. "\nstatus 0\n", run("options", grace))
    end)
  end
end)
