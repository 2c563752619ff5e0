---@meta _thread

return require "lthread"
