-- Runs the specs: lua spec/run.lua [busted's options] [files and directories]
require "lthread"
require "busted.runner" { standalone = false }
