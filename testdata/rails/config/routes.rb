Rails.application.routes.draw do
  if ENV["DEMO_CATENARY"] # the program, from script/demo
    root "demos#show"
    scope "demo", controller: "demos" do
      get "vitals"
      post "restart", "crowd"
    end
  else
    root "rooms#index"
  end

  resource :session, only: %i[ new create destroy ]
  resources :rooms, only: %i[ index show ]
end
