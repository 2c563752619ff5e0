local isinstance = require "lthread".isinstance
local assert = require "luassert"

-- Calls f(...), which must raise an exception of the class, and returns it.
return function(class, f, ...)
  local ok, exception = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(isinstance(exception, class), tostring(exception))
  return exception
end
