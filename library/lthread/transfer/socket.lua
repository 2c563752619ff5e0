---@meta lthread.transfer.socket

---@class lthread.transfer.socket Required, it lets sockets of LuaSocket cross.
local transfer = {}

---In a message: the receiver gets the socket, and the sender's is closed.
---@param socket table
---@return userdata
function transfer.move(socket) end

return transfer
