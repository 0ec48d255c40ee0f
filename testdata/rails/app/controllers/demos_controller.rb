require "net/http"

# The page of script/demo: the chat twice, through catenary and through Rails' own Action Cable.
class DemosController < ApplicationController
  def show
    @room = Room.first
  end

  def vitals
    metrics = Net::HTTP.get(URI("http://#{ENV.fetch("CATENARY_OPERATIONS_LISTEN", "127.0.0.1:9394")}/metrics"))
    render json: { process: Process.pid, browsers: metrics[/^catenary_connections (\d+)/, 1].to_i }
  end

  # Restarts Puma as a deploy does, its master included.
  def restart
    Process.kill :USR2, ENV["WEB_CONCURRENCY"].to_i > 0 ? Process.ppid : Process.pid
    head :no_content
  end

  # Opens 1,000 sockets for ten minutes, from a process that survives the restart. catenary stops it
  # with Rails.
  def crowd
    Process.detach spawn(ENV["DEMO_CATENARY"], "bench", "idle", "ws://#{request.host_with_port}/cable",
      "--connections", "1000", "--hold", "10m", "--settle", "0", "--timeout", "5m", "--origin", request.base_url,
      "--cookie", request.headers["Cookie"], "--identifier", { channel: "CrowdChannel", room_id: Room.first.id }.to_json,
      out: File::NULL, err: Rails.root.join("log/crowd.log").to_s)
    head :no_content
  end
end
