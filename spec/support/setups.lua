-- What stands before and after the specs of a file.
local _thread = require "lthread"
local busted = require "busted"
local threads = require "support.threads"

local setups = {}

-- Each spec begins without threads: those that nobody joins may still be on their way out when the
-- one before has ended.
function setups.alone()
  busted.before_each(function()
    if not threads.eventually(function() return _thread._count() == 0 end) then
      error "threads of an earlier spec are still there"
    end
  end)
end

-- Errors that end threads are not written.
function setups.quiet()
  busted.setup(function() _thread.set_excepthook(function() end) end)
  busted.teardown(function() _thread.set_excepthook(nil) end)
end

return setups
