-- Runs one of the programs of spec/hosts: run("name", "argument"...) returns all that it has
-- written, then a line with its status.
local directory = os.getenv "LTHREAD_HOSTS"

local hosts = {}

function hosts.run(name, ...)
  local pipe <close> = io.popen(("timeout 120 '%s/%s' %s 2>&1; echo status $?"):format(directory,
    name, table.concat({ ... }, " ")))
  return pipe:read("a")
end

return hosts
