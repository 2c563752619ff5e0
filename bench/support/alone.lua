-- Seconds for one acquire and release of a lock, or of what has methods of these names.
local floor = require "floor"

return function(lock)
  local count = 1000000
  local begin = floor.now()
  for _ = 1, count do
    lock:acquire()
    lock:release()
  end
  return (floor.now() - begin) / count
end
