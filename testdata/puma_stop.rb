require "puma"
require "puma/server"

# Works around a deadlock of Puma 6 on Ruby 3.3, in which about one SIGTERM in twenty is never obeyed: the main thread writes
# "stop" into a pipe and joins the server's thread; that thread closes the pipe, and Ruby lets it wait for the writer. Writing
# without blocking leaves nobody to wait for.
module PumaStop
  private
    def notify_safely(message)
      @notify&.write_nonblock(message)
    rescue IOError, SystemCallError
      Puma::Util.purge_interrupt_queue # the server is stopping already
    end
end

Puma::Server.prepend PumaStop
