-- Runs the specs: lua spec/run.lua [options] [files and folders]. By busted; where that does not
-- load, by a runner of our own.
require "lthread"
local has_busted, busted = pcall(require, "busted.runner")
if has_busted then
  busted { standalone = false }
else
  require "support.runner" (arg)
end
